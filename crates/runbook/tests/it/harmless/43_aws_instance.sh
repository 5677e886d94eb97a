#!/usr/bin/env bash
# State, checks, and target health of one instance.
set -euo pipefail
id=${1:?usage: aws_instance.sh INSTANCE_ID}
export AWS_PAGER="" AWS_MAX_ATTEMPTS=2

aws sts get-caller-identity --query Arn --output text
aws ec2 describe-instances --instance-ids "$id" \
  --query 'Reservations[0].Instances[0].{State:State.Name,Type:InstanceType,AZ:Placement.AvailabilityZone,Launch:LaunchTime}' --output table
aws ec2 describe-instance-status --instance-ids "$id" --include-all-instances \
  --query 'InstanceStatuses[0].[SystemStatus.Status,InstanceStatus.Status]' --output text
aws cloudwatch get-metric-statistics --namespace AWS/EC2 --metric-name CPUUtilization \
  --dimensions "Name=InstanceId,Value=$id" --statistics Average Maximum --period 300 \
  --start-time "$(date -u -d '1 hour ago' +%FT%TZ)" --end-time "$(date -u +%FT%TZ)" \
  --query 'sort_by(Datapoints, &Timestamp)[].[Timestamp,Average,Maximum]' --output text
aws ec2 get-console-output --instance-id "$id" --latest --output text | tail -n 30
