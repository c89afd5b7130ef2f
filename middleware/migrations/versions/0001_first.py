"""The first schema: events, calls, orders, payments, links, audit; three tables partitioned by month."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE calls (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    key TEXT NOT NULL,
    connection TEXT NOT NULL,
    operation TEXT NOT NULL,
    subject TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    order_id BIGINT,
    event_id BIGINT,
    after BIGINT[] DEFAULT '{}' NOT NULL,
    payload BYTEA NOT NULL,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempted_at TIMESTAMP WITH TIME ZONE,
    lease_until TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    token TEXT,
    look_up BOOLEAN DEFAULT false NOT NULL,
    remote_id TEXT,
    cause TEXT,
    detail TEXT,
    field TEXT,
    correlation_id TEXT DEFAULT '' NOT NULL,
    traceparent TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_calls_key UNIQUE (key)
);

CREATE INDEX ix_calls_dead ON calls (connection, cause) WHERE state IN ('dead', 'rejected');

CREATE INDEX ix_calls_holding ON calls (connection, subject) WHERE state IN ('pending', 'making', 'retry', 'unknown');

CREATE INDEX ix_calls_open ON calls (connection, due_at) WHERE state IN ('pending', 'retry', 'unknown');

CREATE INDEX ix_calls_order ON calls (order_id);

CREATE UNIQUE INDEX uq_calls_making ON calls (connection, subject) WHERE state = 'making';

CREATE TABLE console_links (
    token_hash TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (token_hash)
);

CREATE TABLE event_bodies (
    event_id BIGINT NOT NULL,
    kept_at TIMESTAMP WITH TIME ZONE NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (event_id, kept_at)
)
 PARTITION BY RANGE (kept_at);

CREATE TABLE events (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    connection TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    subject TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT DEFAULT 'due' NOT NULL,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    vanished SMALLINT DEFAULT 0 NOT NULL,
    hint BOOLEAN DEFAULT false NOT NULL,
    kept_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE,
    lease_until TIMESTAMP WITH TIME ZONE,
    parked_until TIMESTAMP WITH TIME ZONE,
    decided_at TIMESTAMP WITH TIME ZONE,
    order_id BIGINT,
    cause TEXT,
    detail TEXT,
    correlation_id TEXT DEFAULT '' NOT NULL,
    traceparent TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_events_delivery UNIQUE (connection, delivery_id)
);

CREATE INDEX ix_events_dead ON events (connection, cause) WHERE state = 'dead';

CREATE INDEX ix_events_deciding ON events (lease_until) WHERE state = 'deciding';

CREATE INDEX ix_events_due ON events (lane, due_at, id) WHERE state = 'due';

CREATE INDEX ix_events_hints ON events (connection) WHERE hint AND state IN ('due', 'deciding');

CREATE INDEX ix_events_order ON events (order_id) WHERE order_id IS NOT NULL;

CREATE INDEX ix_events_parked ON events (parked_until) WHERE state = 'parked';

CREATE INDEX ix_events_suspect ON events (lane, due_at) WHERE state = 'due' AND vanished > 0;

CREATE TABLE exchanges (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    call_id BIGINT NOT NULL,
    attempt SMALLINT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status SMALLINT,
    seconds DOUBLE PRECISION NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id, at)
)
 PARTITION BY RANGE (at);

CREATE INDEX ix_exchanges_call ON exchanges (call_id);

CREATE TABLE links (
    connection TEXT NOT NULL,
    kind TEXT NOT NULL,
    our_id TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    number TEXT DEFAULT '' NOT NULL,
    linked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connection, kind, our_id),
    CONSTRAINT uq_links_remote UNIQUE (connection, kind, remote_id)
);

CREATE TABLE orders (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    shop TEXT NOT NULL,
    order_id TEXT NOT NULL,
    internal_id TEXT NOT NULL,
    number TEXT NOT NULL,
    store TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    payment_state TEXT NOT NULL,
    export_state TEXT NOT NULL,
    fulfilment_state TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    erp_number TEXT DEFAULT '' NOT NULL,
    waits TEXT DEFAULT '' NOT NULL,
    placed_at TIMESTAMP WITH TIME ZONE,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    fulfilment_at TIMESTAMP WITH TIME ZONE,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    snapshot BYTEA NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_orders_identity UNIQUE (shop, order_id)
);

CREATE INDEX ix_orders_number ON orders (number);

CREATE INDEX ix_orders_open_export ON orders (export_state, since) WHERE export_state NOT IN ('exported', 'not_needed');

CREATE INDEX ix_orders_recent ON orders (id DESC);

CREATE TABLE parked_keys (
    key TEXT NOT NULL,
    event_id BIGINT NOT NULL,
    PRIMARY KEY (key, event_id)
);

CREATE TABLE refusal_samples (
    connection TEXT NOT NULL,
    cause TEXT NOT NULL,
    slot SMALLINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    why TEXT NOT NULL,
    headers TEXT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (connection, cause, slot)
);

CREATE TABLE refusals (
    connection TEXT NOT NULL,
    cause TEXT NOT NULL,
    count BIGINT NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connection, cause)
);

CREATE TABLE runs (
    connection TEXT NOT NULL,
    kind TEXT NOT NULL,
    watermark TIMESTAMP WITH TIME ZONE,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE,
    detail TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (connection, kind)
);

CREATE TABLE switches (
    connection TEXT NOT NULL,
    reason TEXT NOT NULL,
    turned_by TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (connection)
);

CREATE TABLE transitions (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    order_id BIGINT,
    thing TEXT NOT NULL,
    was TEXT NOT NULL,
    becomes TEXT NOT NULL,
    cause TEXT NOT NULL,
    refused BOOLEAN DEFAULT false NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    correlation_id TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id, at)
)
 PARTITION BY RANGE (at);

CREATE INDEX ix_transitions_order ON transitions (order_id);

CREATE TABLE order_keys (
    key TEXT NOT NULL,
    order_id BIGINT NOT NULL,
    PRIMARY KEY (key),
    FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE
);

CREATE INDEX ix_order_keys_order_id ON order_keys (order_id);

CREATE TABLE payments (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    connection TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    order_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    base_state TEXT NOT NULL,
    base_at TIMESTAMP WITH TIME ZONE NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    outcome TEXT DEFAULT '' NOT NULL,
    raw_code TEXT DEFAULT '' NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_payments_identity UNIQUE (connection, remote_id),
    FOREIGN KEY(order_id) REFERENCES orders (id) ON DELETE CASCADE
);

CREATE INDEX ix_payments_order_id ON payments (order_id);

CREATE TABLE payment_parts (
    payment_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    counts BOOLEAN NOT NULL,
    said_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (payment_id, kind, remote_id),
    FOREIGN KEY(payment_id) REFERENCES payments (id) ON DELETE CASCADE
);

CREATE TABLE event_bodies_default PARTITION OF event_bodies DEFAULT;
CREATE TABLE exchanges_default PARTITION OF exchanges DEFAULT;
CREATE TABLE transitions_default PARTITION OF transitions DEFAULT;

ALTER TABLE events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE calls SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
"""


def upgrade() -> None:
    op.execute(TABLES)
