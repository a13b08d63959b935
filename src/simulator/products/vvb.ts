import type { Product } from '../scenario.ts'
import { finesse } from './contact-center.ts'

/**
 * Virtualized Voice Browser: no platform group, three services on one line, and a trailer of its own. The list is
 * list-01, word for word.
 */
export const vvb: Product = {
  ...finesse,
  name: 'Cisco Virtualized Voice Browser',
  version: '12.6.1.10000-17',
  serviceList: `Requesting service status, please wait...
Service Manager is running
Getting list of all services
>> Return code = 0
Cisco AMC Service[STARTED]
Cisco Audit Event Service[STARTED]
Cisco CDP[STARTED]
Cisco CDP Agent[STARTED]
Cisco Certificate Change Notification[STARTED]
Cisco Certificate Expiry Monitor[STARTED]
Cisco RIS Data Collector[STARTED]
Cisco RTMT Reporter Servlet[STARTED] Cisco Speechserver[STARTED] Cisco Syslog Agent[STARTED]
Cisco Tomcat[STARTED]
Cisco Tomcat Stats Servlet[STARTED]
Cisco Trace Collection Service[STARTED]
Cisco Trace Collection Servlet[STARTED]
Administration[STARTED]
CVD Dependent Webapp[STARTED]
Cluster View Daemon[STARTED]
Configuration API[STARTED]
Database[STARTED]
Engine[STARTED]
Perfmon Counter Service[STARTED]
SNMP Java Adapter[STARTED]
Serviceability[STARTED]
Voice Subagent[STARTED]
WebServices[STARTED]
Cisco Unified Serviceability RTMT[STARTED]
Host Resources Agent[STARTED]
MIB2 Agent[STARTED]
Platform Administrative Web Service[STARTED]
Platform Communication Web Service[STARTED]
SNMP Master Agent[STARTED]
SOAP -Log Collection APIs[STARTED]
SOAP -Performance Monitoring APIs[STARTED]
SOAP -Real-Time Service APIs[STARTED]
System Application Agent[STARTED]
Cisco DirSync[STOPPED]  Service Not Activated
Cisco Serviceability Reporter[STOPPED]  Service Not Activated
Primary Node =true
Command successful
`,
}
