# weldfleet: what people run. The work is in tools/; this file only names it. `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## a day of welds judged by two workers, from nothing, on this machine
	tools/demo.sh

.PHONY: demo-adopt
demo-adopt: build ## a plant with a table and a service of its own, from that service's configuration to the first verdict
	tools/demo-adopt.sh

.PHONY: demo-down
demo-down: ## stop what the demos left running
	tools/demo.sh down

.PHONY: demo-recording
demo-recording: build ## the demo once more, with a `kill -9`, drawn as docs/images/demo.svg
	tools/demo-recording.py

.PHONY: services
services: ## ClickHouse, Redis and MariaDB of this checkout's own, on free ports
	tools/services.sh up

.PHONY: services-down
services-down: ## stop them, and what a demo left running on them; their data stays in .services
	tools/demo.sh down

.PHONY: build
build: toolchain ## the two programs, optimised
	WELDFLEET_BUILD="$$(tools/build-id.sh)" cargo build --release --locked --bin scheduler --bin worker

.PHONY: test
test: ## every test, on real services (needs no GPU)
	tools/test.sh

.PHONY: test-faults
test-faults: ## the long fault tests, then make test-nightly
	tools/test.sh faults
	tools/test.sh nightly

.PHONY: test-nightly
test-nightly: ## the queue's longest proofs: the whole model, 10,000 random sequences, a million jobs due at once
	tools/test.sh nightly

.PHONY: test-parts
test-parts: ## the same tests on other MySQLs, MariaDBs, Redises, Valkeys; writes docs/COMPATIBILITY.md (20 minutes; PARTS="--only …")
	tools/test.sh parts $(PARTS)

.PHONY: test-training
test-training: ## every script of training/ on tables of its own, PyTorch included (fetches 3 GB once)
	tools/test.sh training

.PHONY: test-compose
test-compose: ## the images and docker-compose.yml in a private Docker engine (root)
	tools/test-compose.sh

.PHONY: bench
bench: toolchain ## every figure of docs/PERFORMANCE.md, services included (BENCH="--quick" for a first look)
	WELDFLEET_BUILD="$$(tools/build-id.sh)" cargo build --release --locked --package scheduler --package worker --package weldfleet-bench --package weldfleet-timed-device
	target/release/weldfleet-bench $(BENCH)

.PHONY: bench-report
bench-report: toolchain ## write the tables of docs/PERFORMANCE.md and README from the figures of the last `make bench`
	cargo run --release --locked --package weldfleet-bench -- --report

.PHONY: bench-micro
bench-micro: toolchain ## decoding, features and rules alone, by criterion
	cargo bench --package weldfleet-bench --locked --benches

.PHONY: bench-queue
bench-queue: toolchain ## the queue beside its peers: cost, recovery, crash loops; then at scale (BENCH="--quick" for a first look)
	cargo run --release --locked --manifest-path bench/queue/Cargo.toml -- $(BENCH)

.PHONY: bench-queue-scale
bench-queue-scale: toolchain ## only this of it: a thousand workers and a million jobs on one Redis (BENCH="--quick" for a first look)
	cargo run --release --locked --manifest-path bench/queue/Cargo.toml -- scale $(BENCH)

.PHONY: bench-old-network
bench-old-network: build ## an older service's network: the fleet in f32 and bf16 beside that service's loop (BENCH="--quick" for a first look)
	bench/old-network.sh $(BENCH)

.PHONY: bench-gpu
bench-gpu: build ## bring what measures CUDA and TensorRT into the folder DIR=…, for a machine with a GPU (bench/gpu.sh)
	bench/gpu.sh --prepare $(DIR)

.PHONY: fmt
fmt: toolchain ## format the code
	cargo fmt --all

.PHONY: lint
lint: ## formatting, clippy, shell scripts, compose files
	tools/test.sh lint

.PHONY: clean
clean: demo-down ## remove build output and the services' data
	rm -rf .services
	cargo clean

.PHONY: toolchain
toolchain:
	@tools/toolchain.sh
