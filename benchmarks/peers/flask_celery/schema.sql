CREATE TABLE events (
  id serial PRIMARY KEY,
  provider text NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  payload text NOT NULL,
  received_at timestamptz NOT NULL,
  UNIQUE (provider, event_id)
);
