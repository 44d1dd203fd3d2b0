-- serves: gauges, which count the batches that have not ended, of however many.
CREATE INDEX IF NOT EXISTS batches_open ON tidegate.batches (state) WHERE ended_at IS NULL;
