CREATE TABLE events (
  id serial PRIMARY KEY,
  event_id text NOT NULL UNIQUE,
  payload text NOT NULL,
  status text NOT NULL,
  done_at timestamptz
);
