"""What the benchmarks of the model server are made of: a load client, the servers they compare, and their artifact."""
