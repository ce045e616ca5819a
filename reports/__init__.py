"""Views of result files: reads files of the published schema and imports none of ours."""
