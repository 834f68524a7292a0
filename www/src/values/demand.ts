/** What is thrown where a text is not the wire form of a value. */

import { TidesyncError } from '../error'

/** The error. */
export function badForm(): TidesyncError {
  return new TidesyncError('bad-value', 'The text is not the wire form of a value.')
}

/** Throws it unless `condition` holds. */
export function demand(condition: boolean): asserts condition {
  if (!condition) throw badForm()
}
