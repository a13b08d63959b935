export interface ListParts {
  readonly platform: readonly string[]
  readonly started: readonly string[]
  /** Whole lines, with their reasons. */
  readonly stopped: readonly string[]
  readonly trailer: string
}

/** A service list of the CUCM family: the platform group first, then the rest (list-02, list-04). */
export function serviceList({ platform, started, stopped, trailer }: ListParts): string {
  return [
    'Requesting service status, please wait...',
    ...platform,
    'Service Manager is running',
    'Getting list of all services',
    '>> Return code = 0',
    ...started.map((name) => `${name}[STARTED]`),
    ...stopped,
    trailer,
    '',
  ].join('\n')
}

export const platformGroup = [
  'System SSH [STARTED]',
  'Cluster Manager [STARTED]',
  'Password Reset [STOPPED] Service Activated',
  'Name Service Cache [STARTED]',
  'Entropy Monitoring Daemon [STARTED]',
  'Cisco SCSI Watchdog [STARTED]',
  'Service Manager [STARTED]',
]

/** In the second group of every product of the CUCM family. */
export const common = [
  'Cisco AMC Service',
  'Cisco Audit Event Service',
  'Cisco CDP',
  'Cisco CDP Agent',
  'Cisco Certificate Expiry Monitor',
  'Cisco DRF Local',
  'Cisco Log Partition Monitoring Tool',
  'Cisco RIS Data Collector',
  'Cisco RTMT Reporter Servlet',
  'Cisco Syslog Agent',
  'Cisco Tomcat',
  'Cisco Tomcat Stats Servlet',
  'Cisco Trace Collection Service',
  'Cisco Trace Collection Servlet',
  'Host Resources Agent',
  'MIB2 Agent',
  'Platform Administrative Web Service',
  'Platform Communication Web Service',
  'SOAP -Log Collection APIs',
  'SOAP -Performance Monitoring APIs',
  'SOAP -Real-Time Service APIs',
  'System Application Agent',
]
