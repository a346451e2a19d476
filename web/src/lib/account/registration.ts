// Who may register, by /api/site.
import type { Reader } from '$lib/api/client';
import { fields, oneOf } from '$lib/api/types';

export type Registration = 'open' | 'invite' | 'closed';

/** Reads it; what a newer server may have brought is as open: it says by itself whom it refuses. */
export const registration: Reader<Registration> = (body) => (fields(body)['registration'] === undefined ? null : oneOf<Registration>(fields(body)['registration'], ['open', 'invite', 'closed']));
