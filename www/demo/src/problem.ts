import { Store } from './store'

/** What went wrong last in the app itself, for the banner; null when nothing did. */
export const problem = new Store<string | null>(null)

export function reportProblem(error: unknown): void {
  problem.set(error instanceof Error ? error.message : String(error))
}
