import { lstatSync, readlinkSync } from 'node:fs'
import { createLook } from '../core/ownership.ts'

export const look = createLook({ lstatSync, readlinkSync })
