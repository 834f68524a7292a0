/** What a device tells the page that frames it. */

import { DEVICES, type Device } from './devices'
import type { Tone } from './words'

/** How a device does, and how high its frame must be. */
export interface DeviceReport {
  readonly height: number
  readonly tone: Tone
  readonly words: string
}

interface ReportMessage extends Partial<DeviceReport> {
  readonly type: 'device-report'
  readonly device: Device['id']
}

/** Whether this page is a frame of another. */
export const isFramed = parent !== window

export function tellStage(device: Device, report: Partial<DeviceReport>): void {
  if (isFramed) {
    const message: ReportMessage = { type: 'device-report', device: device.id, ...report }
    parent.postMessage(message, location.origin)
  }
}

/** Tells the height of the page's content, now and whenever it changes. */
export function tellHeight(device: Device, content: HTMLElement): void {
  new ResizeObserver(() => {
    // Nothing is laid out while the frame is hidden.
    if (content.offsetHeight > 0) {
      tellStage(device, { height: content.offsetHeight })
    }
  }).observe(content)
}

/** Calls `listener` for what the framed devices tell, until the returned function is called. */
export function listenToDevices(
  listener: (device: Device['id'], report: Partial<DeviceReport>) => void,
): () => void {
  const hear = ({ origin, data }: MessageEvent<Partial<ReportMessage> | null>) => {
    const known = DEVICES.find(({ id }) => id === data?.device)
    if (origin === location.origin && data?.type === 'device-report' && known !== undefined) {
      const { type: _type, device: _device, ...report } = data
      listener(known.id, report)
    }
  }
  addEventListener('message', hear)
  return () => removeEventListener('message', hear)
}
