"""A result in other people's formats; each takes the published document and returns text.

junit      JUnit XML, for continuous integration
sarif      SARIF 2.1.0, for code scanning
markdown   a summary for a person, or for a job's page
badge      the JSON of a badge
"""
