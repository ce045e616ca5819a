"""The published, versioned JSON Schemas, as package data beside this file."""
