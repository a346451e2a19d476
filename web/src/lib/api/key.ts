// Idempotency keys.

/** What nobody else draws, for Idempotency-Key. Also without TLS, where there is no `crypto.randomUUID`. */
export function drawKey(): string {
	return [...crypto.getRandomValues(new Uint32Array(4))].join('-');
}
