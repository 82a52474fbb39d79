"""Who is told what: one topic of notices, the alarms, the dashboard, how long logs are kept."""
