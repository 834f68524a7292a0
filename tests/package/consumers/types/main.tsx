import {
  attach,
  type CloudSync,
  configureCloudSync,
  createCloudSync,
  installTidesync,
} from 'tidesync'
import * as inline from 'tidesync/inline'
import { useCloudSync } from 'tidesync/react'

configureCloudSync({
  url: 'https://api.example.com',
  getToken: async ({ reason, userId }) => `${reason satisfies 'request' | 'expired'} ${userId}`,
  timing: { bufferMs: 1_000 },
})

export const sync: CloudSync = createCloudSync({ url: '/', getToken: () => null })
export const same: CloudSync = inline.createCloudSync({ url: '/', getToken: () => null })

export function open(database: IDBDatabase, upgrade: IDBTransaction | null): void {
  installTidesync(database, upgrade)
  attach(database)
}

// @ts-expect-error a server is needed
configureCloudSync({ getToken: () => null })

export function Status() {
  const { status, forceSync, triggerBackup, getSyncStatus } = useCloudSync('ada')
  const done: Promise<boolean> = status.pending > 0 ? forceSync() : triggerBackup()
  const pending: number = useCloudSync(null, { select: (whole) => whole.pending }).status
  // @ts-expect-error there is no such phase
  const wrong: boolean = getSyncStatus().phase === 'synced'
  return <p title={String(done)}>{wrong ? pending : status.phase}</p>
}
