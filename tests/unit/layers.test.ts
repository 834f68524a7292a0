import { describe, expect, it } from 'vitest'
import { wrongCrateEdges, wrongImports } from '../../scripts/lib/layers.mjs'

const crate = (name: string, ...dependencies: object[]) => ({ name, dependencies }) as never

describe('crates', () => {
  it('lets the engine use the protocol, and not the other way', () => {
    const engine = crate('tidesync-engine', { name: 'tidesync-protocol', kind: null, path: '/p' })
    const protocol = crate('tidesync-protocol', { name: 'tidesync-engine', kind: null, path: '/e' })
    expect(wrongCrateEdges([engine])).toEqual([])
    expect(wrongCrateEdges([protocol])).toEqual([
      'tidesync-protocol must not depend on tidesync-engine',
    ])
  })

  it('lets the simulation use what ships, and nothing that ships use it', () => {
    const path = '/p'
    const used = ['tidesync-engine', 'tidesync-protocol', 'tidesync-server']
    const simulation = used.map((name) => ({ name, kind: null, path }))
    expect(wrongCrateEdges([crate('tidesync-simulation', ...simulation)])).toEqual([])
    const back = { name: 'tidesync-simulation', kind: 'dev', path }
    for (const name of used) expect(wrongCrateEdges([crate(name, back)])).toHaveLength(1)
  })

  it('refuses a crate without a place', () => {
    expect(wrongCrateEdges([crate('tidesync-new')])).toHaveLength(1)
  })

  it('keeps clocks and randomness out of the pure crates', () => {
    const getrandom = { name: 'getrandom', kind: null }
    expect(wrongCrateEdges([crate('tidesync-engine', getrandom)])).toHaveLength(1)
    expect(wrongCrateEdges([crate('tidesync-server', getrandom)])).toEqual([])
  })
})

describe('modules', () => {
  it.each([
    ['www/src/sync.ts', "import { add } from '../demo/app'"],
    ['www/src/sync.ts', "import { useState } from 'react'"],
    ['www/src/sync.ts', "import init from '../pkg/tidesync.js'"],
    ['www/src/capture/attach.ts', "import { Leader } from '../leader'"],
    ['www/src/capture/attach.ts', "import {\n  type Leader,\n} from '../leader'"],
    ['www/src/key.ts', "export * from './sync'"],
    ['www/src/sync.ts', "const index = await import('./index')"],
    ['www/demo/app.tsx', "import { sync } from '../src/sync'"],
  ])('%s: %s', (file, source) => {
    expect(wrongImports(file, source)).toHaveLength(1)
  })

  it.each([
    ['www/src/react.ts', "import { useSyncExternalStore } from 'react'"],
    ['www/src/engine-module.ts', "import init from '../pkg/tidesync.js'"],
    ['www/src/capture/attach.ts', "import { encodeKey } from '../key'"],
    ['www/src/index.ts', "export { attach } from './capture/index'"],
    ['www/demo/app.tsx', "import { configureCloudSync } from 'tidesync'"],
    ['www/src/sync.ts', "throw new Error('import it from \\'react\\'')"],
  ])('%s may: %s', (file, source) => {
    expect(wrongImports(file, source)).toEqual([])
  })
})
