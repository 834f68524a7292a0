import type { RecordState } from 'tidesync'
import { useRecordSync } from 'tidesync/react'

/** In words, for the dot's hint and for screen readers. */
const STATES: Readonly<Record<RecordState, string>> = {
  unknown: 'starting',
  synced: 'synced',
  pending: 'waiting',
  staged: 'ready to send',
  held: 'held',
  conflict: 'conflict',
}

/** How far a note is on its way to the server: colour and shape. */
export function RecordDot({ id }: { id: string }) {
  const { state } = useRecordSync('notes', id)
  return (
    <span className="record-dot" data-state={state} title={STATES[state]}>
      <span className="visually-hidden">{STATES[state]}: </span>
    </span>
  )
}

const SENTENCES: Readonly<Record<RecordState, string>> = {
  unknown: 'Saved here',
  synced: 'Saved here and on the server',
  pending: 'Saved here, waits for the server',
  staged: 'Saved here, ready for the server',
  held: 'Saved here, refused by the server',
  conflict: 'Saved here, differs on the server: decide below',
}

/** The same as a sentence. */
export function RecordWords({ id, hasArrived }: { id: string; hasArrived: boolean }) {
  const { state } = useRecordSync('notes', id)
  const words = hasArrived && state === 'synced' ? 'Just in from another device' : SENTENCES[state]
  return (
    <p className="record-words" data-state={state}>
      {words}
    </p>
  )
}
