-- The trace that a request belongs to whose producer named one, as W3C writes it: until its
-- result was published. Beside the requests, of which most have none.
CREATE TABLE IF NOT EXISTS tidegate.traces (
    request_id  uuid PRIMARY KEY,
    traceparent text NOT NULL
);
