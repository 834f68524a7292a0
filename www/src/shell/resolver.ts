/** The app's own function for the outcome of a conflict. */

import type { CloudSyncOptions } from '../config'
import { report, TidesyncError } from '../error'
import { decodeKey } from '../key'
import type { Blobs } from './blobs'
import type { TableKeys } from './connection'
import type { AskResolver, Chosen, Conflict, Result } from './interface'
import { appValue, checkKey } from './records'
import type { Slots } from './slots'

/** Asks it, and says what it gave or why it failed: in words that quote no user data. */
export async function askResolver(
  { conflict }: AskResolver,
  tables: CloudSyncOptions['tables'],
  keys: TableKeys | undefined,
  slots: Slots,
  blobs: Blobs,
): Promise<Result<Chosen, string>> {
  const { table, lid } = conflict
  const resolve = tables?.[table]?.resolve
  if (resolve === undefined) return { Err: 'the table has no resolve function' }
  try {
    const value = await resolve(shown(conflict, keys, blobs))
    if (value === null) return { Ok: { value: null } }
    if (value === undefined) return { Err: 'resolve gave nothing: it must give a value or null' }
    if (keys !== undefined) checkKey(value, lid, keys)
    const form = await slots.wireFormOf(table, value)
    blobs.keep('chosen', form.blobs)
    return 'json' in form
      ? { Ok: { value: form.json } }
      : { Err: `resolve gave what cannot be sent: ${form.code} ${form.path}` }
  } catch (error) {
    report(error)
    if (error instanceof TidesyncError) return { Err: `resolve failed: ${error.code}` }
    return { Err: `resolve failed: ${error instanceof Error ? error.name : typeof error}` }
  }
}

function shown(
  { table, lid, base, local, remote }: Conflict,
  keys: TableKeys | undefined,
  blobs: Blobs,
) {
  const value = (text: string | null) => (text === null ? null : appValue(text, lid, keys, blobs))
  return { table, key: decodeKey(lid), base, local: value(local), remote: value(remote) }
}
