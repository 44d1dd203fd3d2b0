-- River's GIN indexes on args and metadata cost half of the WAL of an insert,
-- and nothing of ours looks jobs up by either: the args are a request's id, and
-- the request's own table knows the rest. Workers leave both out of River's
-- ReindexerIndexNames.

DROP INDEX IF EXISTS tidegate.river_job_args_index;
DROP INDEX IF EXISTS tidegate.river_job_metadata_index;
