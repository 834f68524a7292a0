import { describe, expect, it } from 'vitest'
import { type CloudSyncOptions, checkOptions, compresses, engineConfig } from '../config'

const options: CloudSyncOptions = { url: 'https://sync.example.com', getToken: () => 'token' }

describe('options', () => {
  it.each<[CloudSyncOptions, string]>([
    [{ ...options, url: '' }, 'url'],
    [{ ...options, getToken: undefined as never }, 'getToken'],
    [{ ...options, timing: { bufferMs: -1 } }, 'bufferMs'],
    [{ ...options, timing: { throttleMs: Number.NaN } }, 'throttleMs'],
    [{ ...options, timing: { failuresMax: 0 } }, 'failuresMax'],
    [{ ...options, timing: { backoffMultiplier: 1.5 } }, 'backoffMultiplier'],
    [{ ...options, batch: { operations: 1_001 } }, 'operations'],
    [{ ...options, timing: { buffer: 5 } as never }, 'buffer'],
    [{ ...options, tables: { notes: { conflict: 'newest' as never } } }, 'tables.notes.conflict'],
    [{ ...options, tables: { notes: { conflict: 'custom' } } }, 'tables.notes.resolve'],
    [{ ...options, tables: { notes: { resolve: 1 as never } } }, 'tables.notes.resolve'],
    [{ ...options, tables: { notes: { references: { a: 1 as never } } } }, 'references'],
    [{ ...options, tables: { notes: { staleFields: 'x' as never } } }, 'staleFields'],
    [{ ...options, tables: { notes: { space: 1 as never } } }, 'tables.notes.space'],
    [{ ...options, tables: { notes: { space: '' } } }, 'tables.notes.space'],
    [{ ...options, tables: { notes: { space: '~bob' } } }, 'tables.notes.space'],
    [{ ...options, tables: { notes: { space: 'a\ud800' } } }, 'tables.notes.space'],
    [{ ...options, tables: { notes: { space: 'é'.repeat(129) } } }, 'tables.notes.space'],
  ])('that cannot work are refused by name', (wrong, name) => {
    expect(() => checkOptions(wrong)).toThrow(
      expect.objectContaining({ code: 'invalid-option', message: expect.stringContaining(name) }),
    )
  })

  it('that can work are taken', () => {
    expect(() => checkOptions({ ...options, timing: { bufferMs: 0, recoveryMs: 1 } })).not.toThrow()
  })

  it('reach the engine by its names, with a fresh seed', () => {
    const config = {
      ...options,
      timing: { bufferMs: 1 },
      skip: { tables: ['drafts'] },
      batch: { operations: 5, bytes: 6 },
      adoptAnonymous: true,
    }
    const { seed, ...rest } = JSON.parse(engineConfig(config))
    expect(rest).toEqual({
      bufferMs: 1,
      skipTables: ['drafts'],
      batchOpsMax: 5,
      batchBytesMax: 6,
      adoptAnonymous: true,
    })
    expect(seed).toHaveLength(32)
    expect(JSON.parse(engineConfig(config)).seed).not.toEqual(seed)
  })

  it('of tables reach the engine where there are any, without functions', () => {
    const tables = {
      notes: { conflict: 'custom', resolve: () => null },
      tasks: { references: { note: 'notes' }, space: 'é'.repeat(128) },
      plain: {},
    } as const
    const told = (more: Partial<CloudSyncOptions>) => {
      const { seed: _, ...rest } = JSON.parse(engineConfig({ ...options, ...more }))
      return rest
    }
    expect(() => checkOptions({ ...options, tables })).not.toThrow()
    expect(told({ tables, live: false })).toEqual({
      live: false,
      tables: { notes: { conflict: 'custom' }, tasks: tables.tasks },
    })
    expect(told({ tables: { plain: {} } })).toEqual({})
  })

  it('compress requests except to this machine', () => {
    expect(compresses(options)).toBe(true)
    expect(compresses({ ...options, url: 'http://127.0.0.1:5000' })).toBe(false)
    expect(compresses({ ...options, url: 'http://localhost:5000', compression: 'always' })).toBe(
      true,
    )
    expect(compresses({ ...options, compression: 'never' })).toBe(false)
  })
})
