-- A policy as one writes it for Prosody: who may send, how often, how much, and a word that nobody may use.

local now = require "util.time".now;
local st = require "util.stanza";

local allowed = { ["load.test"] = true };
local rate, burst = 1000000, 1000000; -- a second; more than any run sends, but counted all the same
local most_bytes = 65536;
local forbidden = "xyzzy";

local buckets = {};

local function has_token(domain)
	local t, bucket = now(), buckets[domain];
	if not bucket then
		bucket = { tokens = burst, at = t };
		buckets[domain] = bucket;
	end
	bucket.tokens = math.min(burst, bucket.tokens + (t - bucket.at) * rate);
	bucket.at = t;
	if bucket.tokens < 1 then return false; end
	bucket.tokens = bucket.tokens - 1;
	return true;
end

local function decide(event)
	local stanza = event.stanza;
	local domain = stanza.attr.from:match("^[^/]*"):match("([^@]+)$");
	local body = stanza:get_child_text("body") or "";
	if not allowed[domain:match("%.(.+)$") or domain]
	or not has_token(domain)
	or #body > most_bytes then
		module:send(st.error_reply(stanza, "cancel", "policy-violation"));
		return true;
	end
	if body:find(forbidden, 1, true) then return true; end -- dropped
end

for _, kind in ipairs { "message", "presence", "iq" } do
	for _, to in ipairs { "host", "bare", "full" } do
		module:hook(kind .. "/" .. to, decide, 1000);
	end
end
