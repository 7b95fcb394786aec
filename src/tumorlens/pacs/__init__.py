"""A hospital's archive (PACS) over DICOMweb: find and fetch series, store results, watch for new studies."""
