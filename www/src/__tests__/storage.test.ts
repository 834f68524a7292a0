import { describe, expect, it } from 'vitest'
import { conclude, failure, outcomeOf } from '../shell/storage'

/** A transaction whose end the test plays. */
class Transaction extends EventTarget {
  error: DOMException | null = null

  end(name: 'complete' | 'abort'): void {
    this.dispatchEvent(new Event(name))
  }

  abort(): void {
    this.end('abort')
  }
}

function concluded(transaction: Transaction, work: () => Promise<number> = async () => 1) {
  return outcomeOf(conclude(transaction as unknown as IDBTransaction, work))
}

describe('a transaction that fails', () => {
  it.each([
    ['QuotaExceededError', { kind: 'full' }],
    ['UnknownError', { kind: 'other', name: 'UnknownError' }],
    ['AbortError', { kind: 'closed' }],
  ])('at its end tells why: %s', async (name, why) => {
    const transaction = new Transaction()
    const outcome = concluded(transaction)
    transaction.error = new DOMException('', name)
    transaction.end('abort')
    expect(await outcome).toEqual({ Err: why })
  })

  it('and says nothing is a full disk', async () => {
    const transaction = new Transaction()
    const outcome = concluded(transaction)
    transaction.end('abort')
    expect(await outcome).toEqual({ Err: { kind: 'full' } })
  })

  it('by what its work throws tells that', async () => {
    const outcome = concluded(new Transaction(), () => Promise.reject(failure('fenced')))
    expect(await outcome).toEqual({ Err: { kind: 'fenced' } })
  })
})
