"""Acts. Each file owns one side effect: Kafka, files, DuckDB, HTTP, configuration, processes."""
