"""Reports and the explorer's page, made from files alone; imports nothing else of lastref.

result files ──▶ reading ──▶ sections, matrix, histories, timings ──▶ page, markdown, terminal
tables (JSON) ──▶ explorer ──▶ one page that runs the commands itself
"""
