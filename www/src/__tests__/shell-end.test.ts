import { expect, it } from 'vitest'
import { type Engine, Shell } from '../shell/shell'

/** A shell whose engine asks for one line in the log with each turn; `told` is what reaches it. */
function shellOf(log: (shell: Shell) => void) {
  const told: string[] = []
  const effects = [{ type: 'log', level: 'info', message: 'a turn' }]
  const engine: Engine = {
    handle: (_monotonic, _wall, input) => {
      told.push(JSON.parse(input).type)
      return JSON.stringify({ effects, bytes: 0, timeout: null })
    },
    takeBytes: () => new Uint8Array(),
    recordStates: () => {
      told.push('recordStates')
      return ''
    },
    free: () => told.push('free'),
  }
  const options = { url: 'https://a.example', getToken: () => null }
  const shell: Shell = new Shell(
    { engine, database: 'app', options },
    {
      ...{ status: () => undefined, resolved: () => undefined, turned: () => undefined },
      ...{ log: () => log(shell), closed: () => undefined },
      trapped: (error) => {
        throw error
      },
    },
  )
  return { shell, told }
}

it('lets go of the engine when it stops, once, and asks it nothing more', () => {
  const { shell, told } = shellOf(() => undefined)
  shell.handle({ type: 'timeout' })
  shell.stop()
  shell.handle({ type: 'timeout' })
  shell.stop()
  expect(shell.recordStates([{ table: 'notes', lid: 'sa' }])).toEqual([undefined])
  expect(told).toEqual(['timeout', 'stop', 'free'])
})

it('that is stopped in the middle of a turn ends that first', () => {
  let turns = 0
  const { shell, told } = shellOf((stopping) => {
    turns += 1
    if (turns === 1) stopping.stop()
  })
  shell.handle({ type: 'timeout' })
  expect(told).toEqual(['timeout', 'stop', 'free'])
})

it('of an engine that died does not touch it', () => {
  const { shell, told } = shellOf(() => undefined)
  shell.abandon()
  shell.stop()
  expect(told).toEqual([])
})
