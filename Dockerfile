# The server in a container: everything that `tumorlens serve` needs, and no compiler.
#   docker build --tag tumorlens .
#   docker run --read-only --tmpfs /tmp --volume tumorlens:/data --publish 127.0.0.1:8765:8765 \
#     --env TUMORLENS_TOKEN tumorlens
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/tumorlens
RUN /opt/tumorlens/bin/pip install --no-cache-dir --constraint constraints.txt '.[pacs]'
RUN /opt/tumorlens/bin/pip uninstall --yes pip

FROM python:3.13-slim
COPY --from=build /opt/tumorlens /opt/tumorlens
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
ENV PATH=/opt/tumorlens/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/readyz', timeout=4)"]
ENTRYPOINT ["tumorlens"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/data"]
