import { useState } from 'react'
import type { IssueResolution, SyncIssue } from 'tidesync'
import { useSyncIssues } from 'tidesync/react'
import type { Note } from '../../database'
import { reportProblem } from '../../problem'
import { OwnWords } from './OwnWords'
import { ISSUES_ID, STATUS_ID } from './places'

/** What of a note can differ, by the names that people read. */
const FIELDS = { title: 'Title', text: 'Text' } as const

export type NoteField = keyof typeof FIELDS

/** What waits for a decision: two devices changed the same, or the server refused a change. */
export function Issues() {
  const { issues, resolve } = useSyncIssues()
  if (issues.length === 0) {
    return null
  }
  return (
    <section id={ISSUES_ID} className="issues" aria-label="To decide" tabIndex={-1}>
      {issues.map((issue) => (
        <Issue key={issue.id} issue={issue} onResolve={(choice) => resolve(issue.id, choice)} />
      ))}
    </section>
  )
}

interface IssueProps {
  readonly issue: SyncIssue
  readonly onResolve: (choice: IssueResolution) => Promise<boolean>
}

function Issue({ issue, onResolve }: IssueProps) {
  const [isDeciding, setDeciding] = useState(false)
  const [isWriting, setWriting] = useState(false)
  const here = issue.local as Note | null
  const there = issue.remote as Note | null
  const decide = async (choice: IssueResolution) => {
    if (isDeciding) {
      return
    }
    setDeciding(true)
    try {
      if (!(await onResolve(choice))) {
        throw new Error('The decision was not stored. Is this tab’s sync running?')
      }
      // The buttons go with the issue; whoever pressed one with a keyboard is not sent to the top.
      document.querySelector<HTMLElement>(`#${STATUS_ID}`)?.focus()
    } finally {
      setDeciding(false)
    }
  }
  const start = (choice: IssueResolution) => () => {
    decide(choice).catch(reportProblem)
  }
  if (!issue.conflict) {
    return <Refused issue={issue} title={here?.title} onRetry={start('local')} />
  }
  const fields = differing(here, there)
  return (
    <article data-tone="ask" aria-labelledby={`issue-${issue.id}`}>
      <h2 id={`issue-${issue.id}`}>
        “{here?.title ?? there?.title ?? 'A note'}” was changed on both devices
      </h2>
      <p className="base">
        {issue.base === 0
          ? 'Neither change knew of the other.'
          : `Both changed version ${issue.base.toLocaleString('en')} of it. Which one counts?`}
      </p>
      <div className="versions">
        <Version name="On this device" note={here} fields={fields} />
        <Version name="On the server" note={there} fields={fields} />
      </div>
      {isWriting && here !== null ? (
        <OwnWords
          start={here}
          fields={fields}
          labels={FIELDS}
          onSave={(note) => start({ value: note })()}
          onCancel={() => setWriting(false)}
        />
      ) : (
        <div className="buttons">
          <button type="button" className="primary" disabled={isDeciding} onClick={start('local')}>
            Keep mine
          </button>
          <button type="button" disabled={isDeciding} onClick={start('remote')}>
            Take theirs
          </button>
          {here !== null && (
            <button type="button" disabled={isDeciding} onClick={() => setWriting(true)}>
              Write something else
            </button>
          )}
        </div>
      )}
    </article>
  )
}

interface VersionProps {
  readonly name: string
  readonly note: Note | null
  readonly fields: readonly NoteField[]
}

function Version({ name, note, fields }: VersionProps) {
  return (
    <section className="version" aria-label={name}>
      <h3>{name}</h3>
      {note === null ? (
        <p className="empty">Deleted</p>
      ) : (
        fields.map((field) => (
          <div key={field}>
            {fields.length > 1 && <h4>{FIELDS[field]}</h4>}
            <p className="words">{note[field] || 'Empty'}</p>
          </div>
        ))
      )}
    </section>
  )
}

interface RefusedProps {
  readonly issue: SyncIssue
  readonly title: string | undefined
  readonly onRetry: () => void
}

function Refused({ issue, title = 'A deleted note', onRetry }: RefusedProps) {
  return (
    <article data-tone="bad">
      <h2>“{title}” was refused</h2>
      <p className="base">{issue.message}</p>
      <div className="buttons">
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      </div>
    </article>
  )
}

/** The fields in which two versions differ; all of them where one version is none. */
function differing(here: Note | null, there: Note | null): NoteField[] {
  const fields: NoteField[] = ['title', 'text']
  const found = fields.filter((field) => here?.[field] !== there?.[field])
  return found.length === 0 ? fields : found
}
