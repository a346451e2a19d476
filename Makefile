# make run     build what is needed and start a channel on this machine, with a built-in clip
# make test    everything that must hold; installs the Debian packages it needs when it may
# make bench   measure beside nginx, nginx-rtmp, pingora, etcd, Bun and NATS, and write docs/performance.md (an hour and a half)
# make fuzz    every parser that faces the network, ten minutes each (fuzz/README.md)
# make sim     thousands of seeds of the simulated platform and of the mesh of chat hubs, and 15 bugs that must be found (netsim/; 30 minutes on two cores)
# make screenshots  pictures of every page of the site, into docs/screenshots (the binary must be there)
# make soak    100,000 connections to six edges, viewers that are counted, and 100,000 subscribers of a chat (twenty minutes)
SHELL := /bin/bash
.DEFAULT_GOAL := run
.PHONY: run test bench fuzz sim soak site e2e screenshots

run: site
	cargo run --locked --release --bin freshet -- dev --demo

test:
	scripts/test

bench: site
	scripts/bench

fuzz:
	scripts/fuzz 600

# A seed costs about 0.14 s of CPU, one with three control nodes 0.5 s (measured without --release).
SIM_SEEDS ?= 5000
SIM_PLATFORM_SEEDS ?= 3000
# A seed of the mesh of chat hubs costs about 0.03 s.
SIM_CHAT_SEEDS ?= 10000

sim:
	cargo run --locked --release -p freshet-netsim --bin netsim -- bug all
	cargo run --locked --release -p freshet-netsim --bin netsim -- run --seeds $(SIM_SEEDS)
	cargo run --locked --release -p freshet-netsim --bin netsim -- run --layout platform --seeds $(SIM_PLATFORM_SEEDS)
	cargo run --locked --release -p freshet-netsim --bin netsim -- chat --bug all
	cargo run --locked --release -p freshet-netsim --bin netsim -- chat --seeds $(SIM_CHAT_SEEDS)

soak: site
	scripts/soak
	scripts/count
	scripts/chat-soak

# The page, built into web/build, from where the binary takes it.
site: web/build/index.html

web/build/index.html: web/node_modules/.package-lock.json $(shell find web/src web/static -type f 2>/dev/null) $(wildcard web/*.ts web/*.js)
	cd web && npm run build
	@touch $@

# The binary (target/debug/freshet, which must be there) with real encoders, players and a browser.
e2e: e2e/node_modules/.package-lock.json
	npm --prefix e2e test --silent

screenshots: e2e/node_modules/.package-lock.json
	node e2e/screenshots.mjs

%/node_modules/.package-lock.json: %/package-lock.json %/package.json
	scripts/check-node
	cd $* && npm ci --no-audit --no-fund
	@touch $@
