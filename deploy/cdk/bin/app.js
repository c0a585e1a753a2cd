#!/usr/bin/env node
'use strict';

// A Python function that fails on purpose and a function of your own program, both with the layer.

const path = require('node:path');
const { App, CfnOutput, Duration, RemovalPolicy, Stack } = require('aws-cdk-lib');
const iam = require('aws-cdk-lib/aws-iam');
const lambda = require('aws-cdk-lib/aws-lambda');
const logs = require('aws-cdk-lib/aws-logs');
const { TraceAgentLayer } = require('../lib/trace-agent-layer');

const deploy = path.join(__dirname, '..', '..');

const app = new App();
const stack = new Stack(app, 'TraceAgent', { description: 'The trace-agent layer and two functions that fail' });
const architecture =
  app.node.tryGetContext('architecture') === 'arm64' ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64;

const logGroup = new logs.LogGroup(stack, 'LogGroup', {
  retention: logs.RetentionDays.TWO_WEEKS,
  removalPolicy: RemovalPolicy.DESTROY,
});
// Of our own, since the role that CDK makes may write to every log group.
const role = new iam.Role(stack, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
const common = { architecture, role, logGroup, memorySize: 256, timeout: Duration.seconds(10) };

const python = new lambda.Function(stack, 'FailingPython', {
  ...common,
  runtime: lambda.Runtime.PYTHON_3_13,
  code: lambda.Code.fromAsset(path.join(deploy, 'functions', 'python')),
  handler: 'app.handler',
});
const native = new lambda.Function(stack, 'FailingNative', {
  ...common,
  runtime: lambda.Runtime.PROVIDED_AL2023,
  code: lambda.Code.fromAsset(path.join(deploy, 'functions', 'native')),
  handler: 'bootstrap',
});

const traceAgent = new TraceAgentLayer(stack, 'TraceAgent', { dist: path.join(deploy, '..', 'dist') });
traceAgent.attach(python, logGroup);
traceAgent.attach(native, logGroup);

new CfnOutput(stack, 'FailingPythonName', { value: python.functionName });
new CfnOutput(stack, 'FailingNativeName', { value: native.functionName });
new CfnOutput(stack, 'LogGroupName', { value: logGroup.logGroupName });

app.synth();
