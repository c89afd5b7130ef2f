-- Sends the pre-signed requests of a file, one record each and in order; prints one JSON line at the end.
-- wrk -t1 -c32 -d8s --latency -s wrk.lua URL -- FILE RECORD_SIZE
local workers = {}

function setup(thread)
  table.insert(workers, thread)
end

function init(args)
  file = assert(io.open(args[1], "rb"))
  size = tonumber(args[2])
  sent = 0
  exhausted = 0
end

function request()
  local record = file:read(size)
  if record == nil then
    exhausted = exhausted + 1
    file:seek("set", 0)
    record = file:read(size)
  end
  sent = sent + 1
  return record
end

function done(summary, latency, requests)
  local sent_all, exhausted_all = 0, 0
  for _, thread in ipairs(workers) do
    sent_all = sent_all + thread:get("sent")
    exhausted_all = exhausted_all + thread:get("exhausted")
  end
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"refused":%d,"broken":%d,"sent":%d,"exhausted":%d,"p50_ms":%.3f,"p90_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    sent_all, exhausted_all, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
