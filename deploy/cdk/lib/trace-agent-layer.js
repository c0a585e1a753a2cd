'use strict';

const path = require('node:path');
const { Annotations } = require('aws-cdk-lib');
const lambda = require('aws-cdk-lib/aws-lambda');
const { Construct } = require('constructs');

const ZIPS = {
  x86_64: 'trace-agent-layer-x86_64.zip',
  arm64: 'trace-agent-layer-aarch64.zip',
};

/**
 * The layer, and what a function needs to use it: the layer of its architecture, two variables, leave to write to its log group.
 *
 *     const traceAgent = new TraceAgentLayer(this, 'TraceAgent', { dist: 'path/to/dist' });
 *     traceAgent.attach(fn, logGroup);
 */
class TraceAgentLayer extends Construct {
  /**
   * @param {Construct} scope
   * @param {string} id
   * @param {{ dist: string }} props where `cargo layer` put the zips
   */
  constructor(scope, id, props) {
    super(scope, id);
    this.dist = props.dist;
  }

  /** The layer of one architecture; made when it is first asked for. */
  layer(architecture) {
    const name = architecture.name;
    const made = this.node.tryFindChild(name);
    if (made) return made;
    return new lambda.LayerVersion(this, name, {
      layerVersionName: `trace-agent-${name}`,
      code: lambda.Code.fromAsset(path.join(this.dist, ZIPS[name])),
      compatibleArchitectures: [architecture],
      license: 'Apache-2.0',
    });
  }

  /**
   * @param {lambda.Function} fn
   * @param {import('aws-cdk-lib/aws-logs').ILogGroup} logGroup the one that `fn` was made with: asking `fn` for it may make a resource
   */
  attach(fn, logGroup) {
    if (fn.runtime === lambda.Runtime.FROM_IMAGE) {
      throw new Error(`${fn.node.path} is an image, which can have no layers; see container/Dockerfile`);
    }
    fn.addLayers(this.layer(fn.architecture));
    // Extensions are not told the function's log group.
    fn.addEnvironment('TRACE_AGENT_LOG_GROUP', logGroup.logGroupName);
    logGroup.grantWrite(fn);
    if (fn.runtime.name.startsWith('provided')) {
      // It ignores exec wrappers, and what its zip starts cannot be seen from here.
      Annotations.of(fn).addInfo("the zip's bootstrap has to start the program through /opt/trace-agent/bootstrap");
    } else {
      fn.addEnvironment('AWS_LAMBDA_EXEC_WRAPPER', '/opt/trace-agent/wrapper');
    }
  }
}

module.exports = { TraceAgentLayer };
