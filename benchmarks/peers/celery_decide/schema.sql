CREATE TABLE events (
  id serial PRIMARY KEY,
  event_id text NOT NULL UNIQUE,
  payload text NOT NULL,
  status text NOT NULL,
  done_at timestamptz
);
CREATE TABLE payments (
  id serial PRIMARY KEY,
  remote_id text NOT NULL UNIQUE,
  order_number text NOT NULL,
  state text NOT NULL,
  amount integer NOT NULL,
  currency text NOT NULL,
  updated_at timestamptz
);
CREATE TABLE audit (
  id serial PRIMARY KEY,
  payment_id integer NOT NULL REFERENCES payments,
  event_id integer NOT NULL REFERENCES events,
  before text NOT NULL,
  after text NOT NULL,
  at timestamptz NOT NULL
);
CREATE TABLE calls (
  id serial PRIMARY KEY,
  key text NOT NULL UNIQUE,
  kind text NOT NULL,
  status text NOT NULL,
  body json NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX ON calls (status);
