-- What answers must be like, how often one was not, and targets whose answers have
-- changed. All of it is quick, whatever there is, and costs nothing where it is not
-- used.

ALTER TABLE tidegate.requests ADD COLUMN IF NOT EXISTS expect json; -- not jsonb, which knows no \u0000; NULL: nothing
ALTER TABLE tidegate.results ADD COLUMN IF NOT EXISTS bad_answers smallint NOT NULL DEFAULT 0; -- before, or instead of, the one that is stored
