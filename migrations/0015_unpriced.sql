-- What nobody knows the price of must not look as if it had cost nothing: the cost
-- that stands beside it is only what is known. Both are quick, whatever there is.
ALTER TABLE tidegate.attempts ADD COLUMN IF NOT EXISTS unpriced boolean NOT NULL DEFAULT false;
ALTER TABLE tidegate.results ADD COLUMN IF NOT EXISTS unpriced boolean NOT NULL DEFAULT false; -- of one of its attempts
