import type { Product } from '../scenario.ts'
import { finesse } from './contact-center.ts'

/**
 * HCM-F with its web services down after an upgrade: a blank after the prompt, `[ STOPPED ]` with blanks inside,
 * one blank or two before the reason. The list is list-02 with its line breaks put back.
 */
export const hcmf: Product = {
  ...finesse,
  name: 'Cisco Hosted Collaboration Mediation Fulfillment',
  version: '11.5.4.10000-1',
  ident: 'OpenSSH_5.3',
  prompt: 'admin: ',
  serviceList: `Requesting service status, please wait...
System SSH [STARTED]
Name Service Cache [STOPPED] Service Not Activated
Entropy Monitoring Daemon [STARTED]
Cisco SCSI Watchdog [STARTED]
Service Manager [STARTED]
Service Manager is running
Getting list of all services
>> Return code = 0
Cisco AMC Service[STARTED]
Cisco Audit Event Service[STARTED]
Cisco CDM Database[STARTED]
Cisco CDP[STARTED]
Cisco CDP Agent[STARTED]
Cisco Certificate Expiry Monitor[STARTED]
Cisco Configuration Manager[STARTED]
Cisco DRF Local[STARTED]
Cisco DRF Master[STARTED]
Cisco HCS Admin UI[ STOPPED ] Component is not running
Cisco HCS CSF UI Service[ STOPPED ]  Component is not running
Cisco HCS CUCDMSync Service[STARTED]
Cisco HCS ConfigMgr[STARTED]
Cisco HCS DMA-SA Service[STARTED]
Cisco HCS Data Access Manager Service[STARTED]
Cisco HCS Fulfillment Service[STARTED]
Cisco HCS IPA Service[STARTED]
Cisco HCS Intelligent Loader Service[ STOPPED ]  Component is not running
Cisco HCS License Manager Service[STARTED]
Cisco HCS NBI REST FF Web Service[ STOPPED ] Component is not running
Cisco HCS NBI REST SDR Web Service[ STOPPED ]  Component is not running
Cisco HCS NBI REST UCMon Web Service[ STOPPED ]  Component is not running
Cisco HCS North Bound Interface Web Service[ STOPPED ]  Component is not running
Cisco HCS Provisioning Adapter Service[STARTED]
Cisco HCS SDR Change Notification Service[STARTED]
Cisco HCS SDR UI[ STOPPED ]  Component is not running
Cisco HCS SI UI[ STOPPED ]  Component is not running
Cisco HCS SSO SP Service[ STOPPED ]  Component is not running
Cisco HCS Service Inventory[ STOPPED ]  Component is not running
Cisco HCS UCPA Service[STARTED]
Cisco HCS UCSMSync Service[STARTED]
Cisco HCS VCenterSync Service[STARTED]
Cisco JMS Broker[STARTED]
Cisco Log Partition Monitoring Tool[STARTED]
Cisco Platform Manager Service[ STOPPED ]  Component is not running
Cisco RIS Data Collector[STARTED]
Cisco RTMT Web Service[ STOPPED ]  Component is not running
Cisco Syslog Agent[STARTED]
Cisco Tomcat[STARTED]
Cisco Tomcat Stats Servlet[ STOPPED ]  Component is not running
Cisco Trace Collection Service[STARTED]
Cisco Trace Collection Servlet[ STOPPED ]  Component is not running
Host Resources Agent[STARTED]
MIB2 Agent[STARTED]
Platform Administrative Web Service[ STOPPED ]  Component is not running
SNMP Master Agent[STARTED]
System Application Agent[STARTED]
Cisco HCS UC Monitor Service[STOPPED]  Service Not Activated
Primary Node =true
`,
}
