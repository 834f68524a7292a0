import { StrictMode, useEffect } from 'react'
import { createRoot } from 'react-dom/client'
import { attach, configureCloudSync, installTidesync } from 'tidesync'
import { useCloudSync } from 'tidesync/react'

configureCloudSync({ url: location.origin, getToken: () => null })

function Status() {
  const { status } = useCloudSync('ada')
  // After the hook's own effect: what is written before anybody is named waits for nobody.
  useEffect(() => {
    open.result.transaction('notes', 'readwrite').objectStore('notes').put({ text: 'hello' }, 1)
  }, [])
  return <p id="status">{`initialized: ${status.isInitialized}, pending: ${status.pending}`}</p>
}

const open = indexedDB.open('consumer', 1)
open.onupgradeneeded = () => {
  open.result.createObjectStore('notes')
  installTidesync(open.result, open.transaction)
}
open.onsuccess = () => {
  attach(open.result)
  const root = document.getElementById('root')
  if (root !== null) {
    createRoot(root).render(
      <StrictMode>
        <Status />
      </StrictMode>,
    )
  }
}
