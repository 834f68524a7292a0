import { useEffect, useId, useRef, useState } from 'react'

interface NameFieldProps {
  readonly label: string
  readonly name: string
  /** It was just made: its name is selected, to be written over. */
  readonly isFresh: boolean
  readonly onChange: (name: string) => void
}

/** A name that is saved as it is written. */
export function NameField({ label, name, isFresh, onChange }: NameFieldProps) {
  const id = useId()
  const input = useRef<HTMLInputElement>(null)
  // What is being written, until it is left: what is read from the database comes a moment later.
  const [draft, setDraft] = useState<string>()
  useEffect(() => {
    if (isFresh) {
      input.current?.select()
    }
  }, [isFresh])
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        ref={input}
        id={id}
        value={draft ?? name}
        maxLength={80}
        autoComplete="off"
        onChange={(event) => {
          setDraft(event.target.value)
          onChange(event.target.value)
        }}
        onBlur={() => setDraft(undefined)}
      />
    </div>
  )
}
