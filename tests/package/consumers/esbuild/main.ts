import {
  attach,
  configureCloudSync,
  getAutoSyncStatus,
  initAutoSync,
  installTidesync,
  subscribe,
} from 'tidesync'

configureCloudSync({ url: location.origin, getToken: () => null })
subscribe(() => {
  const { isInitialized, pending } = getAutoSyncStatus()
  const line = document.getElementById('status')
  if (line !== null) line.textContent = `initialized: ${isInitialized}, pending: ${pending}`
})

const open = indexedDB.open('consumer', 1)
open.onupgradeneeded = () => {
  open.result.createObjectStore('notes')
  installTidesync(open.result, open.transaction)
}
open.onsuccess = () => {
  attach(open.result)
  void initAutoSync('ada')
  open.result.transaction('notes', 'readwrite').objectStore('notes').put({ text: 'hello' }, 1)
}
