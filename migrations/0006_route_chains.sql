-- The targets of a route's chain, in their order, so that whoever reads the
-- circuits can tell whether the route holds.
ALTER TABLE tidegate.routes ADD COLUMN chain text[] NOT NULL DEFAULT '{}';
