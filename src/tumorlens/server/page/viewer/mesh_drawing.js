// @ts-check
/** Draws a mesh with WebGL2: orthographic, a light beside the eye. */

const VERTEX = `#version 300 es
in vec3 place;
in vec3 normal;
uniform mat3 turn;
uniform vec2 scale;
uniform float depth;
out vec3 facing;
void main() {
  vec3 seen = turn * place;
  facing = turn * normal;
  gl_Position = vec4(seen.xy * scale, -seen.z * depth, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec3 facing;
uniform vec3 color;
out vec4 shown;
void main() {
  vec3 n = normalize(facing);
  if (n.z < 0.0) n = -n;
  float light = max(dot(n, normalize(vec3(-0.35, 0.55, 0.9))), 0.0);
  float gloss = pow(max(dot(n, normalize(vec3(-0.2, 0.3, 1.0))), 0.0), 40.0);
  shown = vec4(color * (0.18 + 0.82 * light) + 0.16 * gloss, 1.0);
}`;

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {MeshDrawing | null} null where there is no WebGL2
 */
export function meshDrawing(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: true });
  if (gl === null) return null;
  const program = linked(gl);
  return program === null ? null : new MeshDrawing(gl, program);
}

export class MeshDrawing {
  #count = 0;

  /** @param {WebGL2RenderingContext} gl @param {WebGLProgram} program */
  constructor(gl, program) {
    this.gl = gl;
    this.program = program;
    this.buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
  }

  /** @param {import("./surface_mesh.js").Mesh} mesh */
  load({ places, normals, triangles }) {
    const { gl, program } = this;
    const [forPlaces, forNormals, forTriangles] = this.buffers;
    const attributes = [
      { buffer: forPlaces, values: places, name: "place" },
      { buffer: forNormals, values: normals, name: "normal" },
    ];
    for (const { buffer, values, name } of attributes) {
      const slot = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(slot);
      gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, forTriangles);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
    this.#count = triangles.length;
  }

  /**
   * @param {number[]} turn 3 × 3 by rows: from the mesh's axes to right, up and towards the eye
   * @param {number} pixels a millimetre
   * @param {number} radius mm that are to lie within the depth that is drawn
   * @param {number[]} color red, green, blue, 0 to 255
   */
  draw(turn, pixels, radius, color) {
    const { gl, program } = this;
    const { width, height } = gl.canvas;
    const at = (/** @type {string} */ name) => gl.getUniformLocation(program, name);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(program);
    gl.uniformMatrix3fv(at("turn"), true, turn);
    gl.uniform2f(at("scale"), (2 * pixels) / width, (2 * pixels) / height);
    gl.uniform1f(at("depth"), 0.9 / Math.max(radius, 1e-6));
    gl.uniform3fv(at("color"), color.map((part) => part / 255));
    gl.drawElements(gl.TRIANGLES, this.#count, gl.UNSIGNED_INT, 0);
  }
}

/** @param {WebGL2RenderingContext} gl */
function linked(gl) {
  const program = gl.createProgram();
  const sources = [
    { kind: gl.VERTEX_SHADER, text: VERTEX },
    { kind: gl.FRAGMENT_SHADER, text: FRAGMENT },
  ];
  for (const { kind, text } of sources) {
    const shader = gl.createShader(kind);
    if (shader === null) return null; // the graphics card was lost
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}
