<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Action;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_waybill_orders\Body;
use Drupal\commerce_waybill_orders\Hold;
use Drupal\commerce_waybill_orders\Refusal;
use Drupal\state_machine\Plugin\Workflow\WorkflowTransition;

/**
 * Moves an order along its workflow: by a transition's name, or to a state.
 */
class ApplyTransition implements ActionInterface {

  public function __construct(private readonly Hold $hold) {}

  /**
   * {@inheritdoc}
   */
  public function apply(OrderInterface $order, Body $body): Outcome {
    $body->only('transition', 'to');
    if ($body->has('transition') === $body->has('to')) {
      throw Refusal::field('', 'Either "transition" or "to" is required.');
    }
    $field = $body->has('to') ? 'to' : 'transition';
    $name = $body->text($field);
    $state = $order->getState();
    $to = $field === 'to' ? $name : $state->getWorkflow()->getTransition($name)?->getToState()->getId();
    if ($state->getId() === $to) {
      return Outcome::unchanged('equal', $this->allowed($order));
    }
    $fits = static fn (WorkflowTransition $transition): bool => $name === ($field === 'to' ? $transition->getToState()->getId() : $transition->getId());
    $fitting = array_filter($state->getTransitions(), $fits);
    if (count($fitting) !== 1) {
      throw $this->refusal($order, "/$field", $name, $fits);
    }
    $state->applyTransition(reset($fitting));
    return Outcome::changed($this->allowed($order));
  }

  /**
   * Says why there is no one way to go.
   */
  private function refusal(OrderInterface $order, string $pointer, string $name, \Closure $fits): Refusal {
    $state = $order->getState();
    $allowed = array_keys($state->getTransitions());
    $reason = $this->hold->reason($order);
    if ($reason !== '' && array_filter($state->getWorkflow()->getPossibleTransitions($state->getId()), $fits)) {
      return Refusal::held($reason, $allowed);
    }
    $detail = sprintf('"%s" is not one allowed way from "%s". Allowed: %s.', $name, $state->getId(), implode(', ', $allowed) ?: 'none');
    return new Refusal(409, 'transition_illegal', $detail, $pointer, ['state' => $state->getId(), 'allowed' => $allowed]);
  }

  /**
   * Names the transitions that are allowed.
   */
  private function allowed(OrderInterface $order): array {
    return ['transitions' => array_keys($order->getState()->getTransitions())];
  }

}
