"""What Prometheus and Grafana are told about labelwatch. docker-compose.yml uses it as it is."""
