"""Views of result files; this layer reads files of the published schema and imports none of ours."""
