"""Speed, cost and scale beside what people would use instead; docs/performance.md explains the rows."""
