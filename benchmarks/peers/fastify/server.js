// A durable Stripe webhook as a good engineer writes it by hand: verify over the raw bytes, insert if new, commit, answer.
import cluster from 'node:cluster';
import { createHmac, timingSafeEqual } from 'node:crypto';
import Fastify from 'fastify';
import pg from 'pg';

const { PORT, DATABASE_URL, STRIPE_SECRET } = process.env;
const WORKERS = Number(process.env.WORKERS ?? 2);
const POOL = Number(process.env.POOL ?? 10);
const TOLERANCE = 300;
const KEEP = {
  name: 'keep',
  text: `INSERT INTO events (provider, event_id, type, payload) VALUES ('stripe', $1, $2, $3)
         ON CONFLICT (provider, event_id) DO NOTHING`,
};

// https://docs.stripe.com/webhooks/signature
function verify(raw, header) {
  let timestamp = '';
  const signatures = [];
  for (const part of (header ?? '').split(',')) {
    const at = part.indexOf('=');
    const name = part.slice(0, at);
    if (name === 't') timestamp = part.slice(at + 1);
    else if (name === 'v1') signatures.push(part.slice(at + 1));
  }
  if (!timestamp || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE) return false;
  const expected = createHmac('sha256', STRIPE_SECRET).update(`${timestamp}.`).update(raw).digest();
  return signatures.some((signature) => {
    const given = Buffer.from(signature, 'hex');
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

async function serve() {
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: POOL, idleTimeoutMillis: 0 });
  pool.on('error', () => {}); // an idle connection was lost; the pool makes another
  const app = Fastify({ logger: false, bodyLimit: 1048576 });
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
  app.post('/webhooks/stripe', async (request, reply) => {
    const raw = request.body;
    if (!verify(raw, request.headers['stripe-signature'])) return reply.code(400).send({ error: 'signature' });
    let event;
    try {
      event = JSON.parse(raw);
    } catch {
      return reply.code(400).send({ error: 'json' });
    }
    await pool.query({ ...KEEP, values: [event.id, event.type, raw.toString('utf8')] });
    return { received: true };
  });
  app.setErrorHandler((error, request, reply) => {
    reply.code(error.statusCode ?? 503).send({ error: error.message });
  });
  await app.listen({ port: Number(PORT), host: '127.0.0.1' });
}

if (cluster.isPrimary) {
  for (let i = 0; i < WORKERS; i++) cluster.fork();
  let stopping = false;
  cluster.on('exit', () => {
    if (!stopping) cluster.fork();
  });
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      stopping = true;
      for (const worker of Object.values(cluster.workers)) worker.kill('SIGTERM');
      setTimeout(() => process.exit(0), 200);
    });
  }
} else {
  process.on('disconnect', () => process.exit(0));
  await serve();
}
