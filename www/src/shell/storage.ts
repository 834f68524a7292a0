/** IndexedDB as promises: a transaction's end is what counts, and its failures are the engine's words. */

import { TidesyncError } from '../error'
import type { StorageError, Stored } from './interface'

/** Thrown by what reads and writes; everything else that is thrown becomes one by {@link storageError}. */
export class StorageFailure extends Error {
  constructor(readonly why: StorageError) {
    super(why.kind)
  }
}

/** A failure without more to say. */
export function failure(kind: Exclude<StorageError['kind'], 'other'>): StorageFailure {
  return new StorageFailure({ kind })
}

/** What the engine is told of something that was thrown. Its message may quote user data. */
export function storageError(error: unknown): StorageError {
  if (error instanceof StorageFailure) return error.why
  if (error instanceof TidesyncError) return { kind: 'other', name: error.code }
  if (!(error instanceof DOMException)) return { kind: 'other', name: 'HostFailed' }
  switch (error.name) {
    case 'QuotaExceededError':
      return { kind: 'full' }
    case 'InvalidStateError':
    // Nobody aborts a request here: its connection was lost.
    case 'AbortError':
      return { kind: 'closed' }
    default:
      return { kind: 'other', name: error.name }
  }
}

/** Waits for work with the database and says what came of it. */
export async function outcomeOf<T>(work: Promise<T>): Promise<Stored<T>> {
  try {
    return { Ok: await work }
  } catch (error) {
    return { Err: storageError(error) }
  }
}

/** The result of a request. */
export function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/**
 * Does `work` in a transaction and waits until all of it is durable, or nothing of it.
 *
 * What `work` throws aborts the transaction, and is told once it has ended. So is the error of the
 * first request that failed. Where every request succeeds and then the commit fails, no error event says
 * so (RELIABILITY 0.3), but the transaction does; one that says nothing is taken for a full disk.
 */
export async function conclude<T>(
  transaction: IDBTransaction,
  work: (transaction: IDBTransaction) => Promise<T>,
): Promise<T> {
  let cause: unknown
  const blame = (error: unknown) => {
    cause ??= error
  }
  const ended = new Promise<void>((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve())
    transaction.addEventListener('abort', () =>
      reject(cause ?? transaction.error ?? failure('full')),
    )
    transaction.addEventListener('error', ({ target }) => blame((target as IDBRequest).error))
  })
  const working = work(transaction).catch((error: unknown) => {
    blame(error)
    abort(transaction)
    return undefined as T
  })
  // Whichever fails first, both are heard to their end.
  const [done] = await Promise.all([working, ended])
  return done
}

function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort()
  } catch {
    // It has ended already, because of the request that failed; the first error is the one to tell.
  }
}
