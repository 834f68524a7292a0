import { problem } from '../problem'
import { useStore } from '../store'

/** What went wrong in the app itself. */
export function ProblemBanner() {
  const message = useStore(problem)
  return (
    <div role="alert">
      {message !== null && (
        <p className="problem">
          {message}
          <button type="button" onClick={() => problem.set(null)}>
            Close
          </button>
        </p>
      )}
    </div>
  )
}
